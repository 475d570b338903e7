/** Moves bytes from arena `fromArena` to arena `toArena`. One of the two is the heap, or both lie in the same arena. */
import { integers, Kernel, share } from '../kernel.ts'

export const copyKernel = new Kernel('copy', integers('toArena', 'to', 'fromArena', 'from', 'bytes'), {
  emit(k) {
    const parameters = { to: 'i32', from: 'i32', bytes: 'i32' } as const
    k.module.func('copyWithin', parameters, (f, { to, from, bytes }) => void f.do(k.weights.copy(to, from, bytes)))
    k.module.func('copyIn', parameters, (f, { to, from, bytes }) => void f.do(k.weights.copy(to, from, bytes, k.heap)))
    k.module.func('copyOut', parameters, (f, { to, from, bytes }) => void f.do(k.heap.copy(to, from, bytes, k.weights)))
  },
  work: ({ bytes }) => bytes / 4,
  run(c, { toArena, to, fromArena, from, bytes }) {
    const [start, end] = share(c, bytes, 4096)
    if (start >= end) return
    const kernels = c.on(toArena || fromArena)
    const move = toArena === fromArena ? kernels.copyWithin! : toArena ? kernels.copyIn! : kernels.copyOut!
    move(to + start, from + start, end - start)
  },
})
