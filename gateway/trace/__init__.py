"""From a leaked copy to the delivery that it came from (M23, R23)."""
