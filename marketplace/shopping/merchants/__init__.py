"""What a merchant may know of the conversations that its products came up in: which agents, why, for how much.

Never who the shopper is, nor what they said.
"""
