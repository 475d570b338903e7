/**
 * What a template may spend. Templates come with checkpoints that anyone can publish, so each evaluated node and each produced
 * character costs steps, and a render that runs out of steps ends with an error. Rendering is synchronous: one budget is open at a time.
 */

/** A template that cannot be read or that refuses its input; `message` is one line for people. */
export class TemplateError extends Error {
  override name = 'TemplateError'
}

/** A template that needs more than it may spend. */
export class TemplateLimitError extends TemplateError {}

export function fail(message: string): never {
  throw new TemplateError(message)
}

/** Enough for conversations of millions of characters; a hostile template ends after a few seconds. */
export const STEPS = 20_000_000
/** Characters of one string or of the output; items of one list. */
const LONGEST = 1 << 26
const MOST_ITEMS = 1 << 22
const CHARACTERS_PER_STEP = 32
/** Calls of macros inside each other. */
const DEEPEST_CALL = 200

let remaining = Number.POSITIVE_INFINITY
let depth = 0

export function spend(steps: number): void {
  remaining -= steps
  if (remaining < 0) throw new TemplateLimitError('the template needs more steps than are allowed; it may never end')
}

/** Charges a string of this length before it is made. */
export function charge(length: number): void {
  checkLength(length)
  spend(length / CHARACTERS_PER_STEP)
}

export function checkLength(length: number): void {
  if (!(length <= LONGEST)) fail(`a text of ${length} characters is longer than allowed (${LONGEST})`)
}

/** Charges a list of so many items before it is made. */
export function chargeItems(count: number): void {
  if (!(count <= MOST_ITEMS)) fail(`a list of ${count} items is longer than allowed (${MOST_ITEMS})`)
  spend(count)
}

/** One call inside another. */
export function nested<T>(run: () => T): T {
  if (++depth > DEEPEST_CALL) fail('maximum recursion depth exceeded')
  try {
    return run()
  } finally {
    depth--
  }
}

export function withBudget<T>(steps: number, run: () => T): T {
  const outer = { remaining, depth }
  remaining = steps
  depth = 0
  try {
    return run()
  } catch (error) {
    // The stack of JavaScript ends before the budget where values are nested deeply.
    if (error instanceof RangeError) throw new TemplateError('maximum recursion depth exceeded', { cause: error })
    throw error
  } finally {
    ;({ remaining, depth } = outer)
  }
}
