"""Nothing that costs starts without a quote that was shown and a limit that was agreed to (TRN-SPEND)."""
