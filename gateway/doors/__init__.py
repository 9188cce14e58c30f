"""The doors: gRPC and Flight services, thin, all leading to one release function."""
