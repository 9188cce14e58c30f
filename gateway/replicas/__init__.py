"""More than one serving process on one state: leases, changes, and the promise across them."""
