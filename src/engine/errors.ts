/** What the engine refuses, beside wrong arguments (RangeError). */

/** The queue of waiting generations is full, or a slot computes an answer. */
export class BusyError extends Error {
  override name = 'BusyError'
}

/** A conversation that cannot be saved or restored, with the reason. */
export class SlotError extends Error {
  override name = 'SlotError'
}
