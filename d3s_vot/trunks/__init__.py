"""Networks that were trained to classify, cut where trackers take their features."""
