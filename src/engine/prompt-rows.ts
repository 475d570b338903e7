/**
 * How the prompt rows of one step are divided among the prompts that wait for them. Half go to the prompts that came first, half to those
 * that are done soonest: the prompts of a burst end one after another, and a short prompt does not stand behind a long one.
 */

/** Share of a step's prompt rows for the prompts that came first; the rest is for those that have the fewest rows left. */
const FIRST_SHARE = 0.5
/** A step that ends a prompt while others wait has at least this share of a chunk, so that reading the weights pays. */
const LEAST_OF_CHUNK = 0.25

export interface WaitingPrompt {
  /** Rows that are not computed yet. */
  readonly pending: number
  /** Rows that this step may have of it. */
  readonly most: number
}

/**
 * The rows of each prompt, 0 for some.
 * @param prompts in the order in which they came
 * @param budget rows of all of them
 * @param chunk rows of the largest step
 */
export function promptRows(prompts: readonly WaitingPrompt[], budget: number, chunk: number): number[] {
  const ends = rowsUntilOneEnds(prompts)
  let remaining = ends <= budget ? Math.min(budget, Math.max(ends, Math.ceil(chunk * LEAST_OF_CHUNK))) : budget
  const rows = prompts.map(() => 0)
  const give = (n: number, most: number) => {
    const more = Math.max(0, Math.min(most, prompts[n]!.most - rows[n]!))
    rows[n]! += more
    remaining -= more
    return more
  }
  let first = Math.ceil(remaining * FIRST_SHARE)
  for (const n of prompts.keys()) first -= give(n, first)
  const left = (n: number) => prompts[n]!.pending - rows[n]!
  for (const n of [...prompts.keys()].sort((a, b) => left(a) - left(b))) give(n, remaining)
  return rows
}

/**
 * Rows of a step with which the first of several prompts ends: its id is drawn when the step ends, so rows of the others would only delay it.
 * Infinity for one prompt.
 */
function rowsUntilOneEnds(prompts: readonly WaitingPrompt[]): number {
  if (prompts.length < 2) return Number.POSITIVE_INFINITY
  const oldest = prompts[0]!.pending
  const shortest = Math.min(...prompts.map(({ pending }) => pending))
  return oldest === shortest ? oldest : Math.ceil(Math.min(shortest / (1 - FIRST_SHARE), oldest / FIRST_SHARE))
}
