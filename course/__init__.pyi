# The public names as editors and type checkers see them: __init__.py fetches them only when they are used.
from course import acting as acting
from course import drawn as drawn
from course import evaluate as evaluate
from course import inside as inside
from course import making as making
from course import runtimes as runtimes
from course import speech as speech
from course import sweeps as sweeps
from course import widgets as widgets
from course.checking import check as check
from course.checking import progress as progress
from course.doctor import examine as examine
from course.glossary import glossary as glossary
from course.ocr import read_text as read_text
from course.predicting import predict as predict
from course.quizzes import quiz as quiz
from slmlab.show import table as table
