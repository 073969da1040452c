"""The store: history, outboxes, late readings and quarantine in one SQLite file, fed from the journal.

The modules by what they are for:

    opening      schema, settings, salvage/ (from a damaged file), rebuild (from the journal)
    writing      store_thread ─▶ store ─▶ apply ─▶ names, window_table, window_kinds, side_tables, counters,
                 meta_table
    correcting   late_job, corrections
    sending      outgoing_lines ─▶ line_protocol ─▶ outbox
    bounds       retention, series_use, eviction, budget
    checking     row_checksum, scrub
    reading      history
"""
