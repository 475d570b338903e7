/**
 * Long computations on a thread that must stay responsive. They are written as generators that yield where they may be interrupted;
 * `finish` runs one to its end at once, `inSlices` a few milliseconds at a time between other work. No threads: what these computations
 * make (automata, a trie) is used here, and works the same in a browser.
 */

/** A computation with places to pause; none takes much longer than a millisecond between two. */
export type Steps<T> = Generator<void, T, void>

/** Runs to the end without a pause. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

export interface SliceOptions {
  /** Gives up with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Gives up with a SliceTimeoutError after so many milliseconds, waiting included. */
  limitMs?: number
}

/** A computation took longer than it may. */
export class SliceTimeoutError extends Error {
  override name = 'SliceTimeoutError'
}

interface Job {
  /** One step; whether the job is over. */
  step(): boolean
}

const sliceMs = 4
const jobs: Job[] = []

/** Runs to the end, a few milliseconds at a time. Several of them take turns, so that together they hold the thread no longer than one. */
export function inSlices<T>(steps: Steps<T>, { signal, limitMs = Number.POSITIVE_INFINITY }: SliceOptions = {}): Promise<T> {
  const until = performance.now() + limitMs
  return new Promise<T>((resolve, reject) => {
    const step = () => {
      try {
        signal?.throwIfAborted()
        if (performance.now() > until) throw new SliceTimeoutError(`not finished after ${limitMs} ms`)
        const { done, value } = steps.next()
        if (done) resolve(value)
        return done === true
      } catch (error) {
        reject(error)
        return true
      }
    }
    jobs.push({ step })
    if (jobs.length === 1) setTimeout(slice)
  })
}

function slice(): void {
  const job = jobs[0]!
  const until = performance.now() + sliceMs
  let over = job.step()
  while (!over && performance.now() < until) over = job.step()
  jobs.shift()
  if (!over) jobs.push(job)
  if (jobs.length > 0) setTimeout(slice)
}
