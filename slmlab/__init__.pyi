# The public names as editors and type checkers see them: __init__.py fetches them only when they are used.
from slmlab import measure as measure
from slmlab import plots as plots
from slmlab.catalog import DATA as DATA
from slmlab.catalog import benchmarks as benchmarks
from slmlab.catalog import card as card
from slmlab.catalog import cards as cards
from slmlab.connecting import connect as connect
from slmlab.connecting import services as services
from slmlab.errors import SlmLabError as SlmLabError
from slmlab.loading import load as load
from slmlab.machine import will_it_fit as will_it_fit
from slmlab.pictures import as_picture as as_picture
from slmlab.pictures import as_pictures as as_pictures
from slmlab.records import Message as Message
from slmlab.records import Sampling as Sampling
from slmlab.weights import folder as folder
