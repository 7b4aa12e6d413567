"""How requests leave the house: client, retry, throttle, OAuth builders."""
