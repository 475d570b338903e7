/**
 * A signal that follows others and can be let go of. AbortSignal.any and AbortSignal.timeout would do, but what follows a long-lived
 * signal that way stays in memory for as long as that one lives, a little for every request.
 */

export interface Linked {
  signal: AbortSignal
  abort(reason: unknown): void
  /** Stops following; call it when the work is over. */
  release(): void
}

/** @param timeoutMs aborts with a TimeoutError after this long */
export function linked(parents: readonly AbortSignal[], timeoutMs?: number): Linked {
  const controller = new AbortController()
  const follow = parents.map((parent) => {
    const abort = () => controller.abort(parent.reason)
    if (parent.aborted) abort()
    else parent.addEventListener('abort', abort, { once: true })
    return () => parent.removeEventListener('abort', abort)
  })
  const late = () => controller.abort(new DOMException(`The work took longer than ${timeoutMs} ms.`, 'TimeoutError'))
  const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs)
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release() {
      clearTimeout(timer)
      for (const unfollow of follow) unfollow()
    },
  }
}
