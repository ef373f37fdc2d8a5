"""Why a rule matches one record or not, in words and with what was seen."""
