"""What every layer shares: settings, errors, principals and scopes, the running operation. Imports no other layer."""
