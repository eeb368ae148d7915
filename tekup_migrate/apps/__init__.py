"""What runs beside the databases: child processes, health probes, Prisma, encryption keys, connections."""
