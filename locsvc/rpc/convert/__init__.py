"""Messages of the contract to the model, and back."""
