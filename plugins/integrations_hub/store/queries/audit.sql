-- name: add
-- One entry; the table refuses changes and deletions, its trigger numbers and chains.
INSERT INTO hub.audit_log (actor, action, target, detail, request_id)
VALUES (%(actor)s, %(action)s, %(target)s, %(detail)s, %(request_id)s);

-- name: page
-- Newest first, by keyset.
SELECT seq, at, actor, action, target, detail, request_id, prev, hash
  FROM hub.audit_log
 WHERE (%(before)s::bigint IS NULL OR seq < %(before)s)
   AND (%(actor)s::text IS NULL OR actor = %(actor)s)
   AND (%(action)s::text IS NULL OR action = %(action)s)
   AND (%(target)s::text IS NULL OR target = %(target)s)
 ORDER BY seq DESC LIMIT %(limit)s;

-- name: head
-- What the chain says is its last entry.
SELECT seq, hash FROM hub.audit_head;

-- name: verify_page
-- The entries after one, each held against its own content and the entry before; sound ones are left out but for the last.
WITH page AS (
    SELECT seq, prev, hash, hub.audit_hash(a) AS computed
      FROM hub.audit_log a WHERE seq > %(after)s AND seq <= %(upto)s ORDER BY seq LIMIT %(limit)s
), chained AS (
    SELECT seq, hash, computed <> hash AS edited, prev <> lag(hash, 1, %(hash)s) OVER w AS replaced,
           lag(seq, 1, %(after)s::bigint) OVER w AS seq_before, count(*) OVER () AS entries
      FROM page WINDOW w AS (ORDER BY seq)
)
SELECT * FROM chained
 WHERE edited OR replaced OR seq <> seq_before + 1 OR seq = (SELECT max(seq) FROM page) ORDER BY seq;

-- name: beyond
-- Entries that the head does not know.
SELECT seq FROM hub.audit_log WHERE seq > (SELECT seq FROM hub.audit_head) ORDER BY seq LIMIT 1;

-- name: hash_of
-- The hash of one entry.
SELECT hash FROM hub.audit_log WHERE seq = %(seq)s;
