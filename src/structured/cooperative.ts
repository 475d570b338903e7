/**
 * Cooperative scheduling: long computations that share one thread with other work. A computation
 * is a generator that yields where it may be paused. `finish` runs it to the end at once;
 * `inSlices` runs it a few milliseconds at a time. It needs no worker, so it also runs in a browser.
 */

/** A computation that can be paused at every yield. Two yields are at most about a millisecond apart. */
export type Steps<T> = Generator<void, T, void>

/** Runs a computation to its end without a pause. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

export interface SliceOptions {
  /** Aborts the computation; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Time limit in milliseconds, waiting included; then the promise rejects with SliceTimeoutError. */
  limitMs?: number
}

/** A computation exceeded its time limit. */
export class SliceTimeoutError extends Error {
  override name = 'SliceTimeoutError'
}

interface Job {
  /** Runs one step. Returns true when the job has ended. */
  step(): boolean
}

const SLICE_MS = 4
const jobs: Job[] = []

/** Runs a computation in slices of SLICE_MS. Several computations take turns, one slice each. */
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
  const until = performance.now() + SLICE_MS
  let over = job.step()
  while (!over && performance.now() < until) over = job.step()
  jobs.shift()
  if (!over) jobs.push(job)
  if (jobs.length > 0) setTimeout(slice)
}
