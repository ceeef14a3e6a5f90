"""Whether tests run live, as these do."""


def is_live() -> bool:
    """Tell that they do; Microsoft's test_config keeps an attribute at this function."""
    return True
