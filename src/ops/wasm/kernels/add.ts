/** y = a + b, elementwise over any number of values; workers take runs of 64. */
import { f32x4 } from '../encoder.ts'
import { type Kernel, share } from '../kernel.ts'

/** [a, b, y, count] */
export const add: Kernel = {
  emit(k) {
    k.module.func('add', { a: 'i32', b: 'i32', y: 'i32', count: 'i32' }, (f, { a, b, y, count }) => {
      k.walk(f, count, [a, b, y], (s) => s.store(y, f32x4.add(s.load(a), s.load(b))))
      return undefined
    })
  },
  work: ([, , , count]) => count!,
  run(c, [a, b, y, count]) {
    const [from, to] = share(c, count!, 64)
    if (from < to) c.on(0).add!(a! + from * 4, b! + from * 4, y! + from * 4, to - from)
  },
}
