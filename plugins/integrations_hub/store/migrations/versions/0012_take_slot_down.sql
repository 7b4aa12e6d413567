DROP FUNCTION hub.take_slot;
