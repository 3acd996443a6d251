"""For processes that a test starts with this folder on their path: tokens end when they say.

The minute by which clocks may differ is no setting, and a test that waits it out takes a minute more.
"""

import tokens.verify

tokens.verify.LEEWAY = 1
