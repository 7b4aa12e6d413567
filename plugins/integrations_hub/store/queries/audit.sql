-- name: add
-- One entry; the table refuses changes and deletions.
INSERT INTO hub.audit_log (actor, action, target, detail, request_id)
VALUES (%(actor)s, %(action)s, %(target)s, %(detail)s, %(request_id)s);
