"""One file per runtime, all with the contract of `base.Engine`: ask, complete, chat, and a Reply that streams."""
