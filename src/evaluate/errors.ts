/** What is wrong with a task, its data or the results of an earlier run. The message is one line for people. */
export class TaskError extends Error {
  override name = 'TaskError'
}

/** A subject cannot do what a task needs, or one item cannot be asked. Only that item is lost. */
export class ItemError extends Error {
  override name = 'ItemError'
}
