"""One file per runtime, all with the contract of `contract.Engine`: ask, complete, chat, and a Reply that streams."""
