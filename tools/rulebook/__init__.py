"""The rules, pure: facts in, findings out. No store, no pictures, no network.

`tables` holds profiles, target models and thresholds; `facts` what a rule may look at; `captions`, `caption_sets`,
`coverage` and `images` the rules on a set; `elsewhere` what is judged where the work is done; `manifest` the list of
those in force; `judge` runs them.
"""
