"""`python -m performance.faults`; nothing is imported by a worker, which starts with this module as well."""

if __name__ == "__main__":
    import sys

    from performance.faults.campaign import main

    sys.exit(main())
