"""The store: history, outboxes, late readings and quarantine in one SQLite file, fed from the journal.

The modules by what they are for:

    opening      schema, settings, salvage/ (from a damaged file), rebuild (from the journal)
    writing      store_thread ─▶ store ─▶ apply ─▶ names, stored_windows, side_tables, counters, meta_table
    windows      stored_windows ─┬─▶ window_table: rows, and what is corrected
                 (window_kinds)  └─▶ fresh_windows ─▶ block_table ─▶ block_body: many new ones (newest_starts)
    correcting   late_job, corrections
    sending      outgoing_lines ─▶ line_protocol ─▶ outbox (block_lines)
    bounds       retention, series_use, eviction, budget
    cutting anew compaction: rows and blocks ─▶ blocks of few series over a longer time
    checking     row_checksum, scrub
    reading      history ─▶ block_rows, window_rows
"""
