"""What each verb of the control socket does on the engine. One file a group of verbs; `verbs.py` puts them together."""
