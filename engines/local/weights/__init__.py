"""The weights of the full-size bases: where they come from, where they are found, and how they are got.

`sources` names the repositories and their licences, `find` looks for weights on this machine, `fetch` gets them from
the hub. Nothing here imports torch; huggingface_hub is imported when it is needed.
"""
