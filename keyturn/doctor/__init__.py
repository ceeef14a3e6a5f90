"""The doctor: looks at a deployment from an operator's machine, and says what is wrong and what to do.

Nothing is changed: a check asks, or asks for something that must be refused. Only probes change something, in a
throw-away key and container of their own.
"""
