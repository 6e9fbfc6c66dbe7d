"""Who somebody is, and what they may do: accounts, workspaces, sign-ins, keys."""
