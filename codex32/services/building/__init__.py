"""From a sentence to a bot that has proved itself: sessions, their stages, what comes of them."""
