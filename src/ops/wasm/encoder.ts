/**
 * A small typed encoder for WebAssembly modules: functions, locals, structured control, SIMD, relaxed SIMD, atomics and several memories.
 * Expressions are values (`f32x4.add(a, b)`), statements go into a function (`f.set(local, value)`), loops are unrolled by plain TypeScript loops.
 * Not an optimiser: what is written is what is encoded; the engine allocates registers.
 * Source: WebAssembly core specification 3.0, chapter 5 (binary format); decision 0001 says why there is no library here.
 */

export type ValueType = 'i32' | 'f32' | 'v128'

const TYPE_CODE: Record<ValueType, number> = { i32: 0x7f, f32: 0x7d, v128: 0x7b }

/** Code that leaves one value of a type on the stack. It may be used more than once only if it is cheap to compute again (locals, constants). */
export class Expr<T extends ValueType = ValueType> {
  readonly type: T
  readonly code: readonly number[]
  constructor(type: T, code: readonly number[]) {
    this.type = type
    this.code = code
  }
}

export type I32 = Expr<'i32'>
export type F32 = Expr<'f32'>
export type V128 = Expr<'v128'>
/** Integer operands may be written as plain numbers. */
export type Int = I32 | number
export type Float = F32 | number

/** A parameter or local variable; reading it is an expression. */
export class Local<T extends ValueType = ValueType> extends Expr<T> {
  readonly index: number
  constructor(type: T, index: number) {
    super(type, [0x20, ...unsigned(index)])
    this.index = index
  }
}

/** Unsigned LEB128. */
export function unsigned(value: number): number[] {
  const out: number[] = []
  let rest = value >>> 0
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  out.push(rest)
  return out
}

/** Signed LEB128 of a 32-bit integer. */
export function signed(value: number): number[] {
  const out: number[] = []
  let rest = value | 0
  for (;;) {
    const byte = rest & 0x7f
    rest >>= 7
    if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) return [...out, byte]
    out.push(byte | 0x80)
  }
}

const scratch = new DataView(new ArrayBuffer(4))
const floatBytes = (value: number): number[] => {
  scratch.setFloat32(0, value, true)
  return [0, 1, 2, 3].map((i) => scratch.getUint8(i))
}

const int = (value: Int): I32 => (typeof value === 'number' ? new Expr('i32', [0x41, ...signed(value)]) : value)
const float = (value: Float): F32 => (typeof value === 'number' ? new Expr('f32', [0x43, ...floatBytes(value)]) : value)
const isConstant = (value: Int): value is number => typeof value === 'number'

const i32Binary =
  (op: number) =>
  (a: Int, b: Int): I32 =>
    new Expr('i32', [...int(a).code, ...int(b).code, op])
const f32Binary =
  (op: number) =>
  (a: Float, b: Float): F32 =>
    new Expr('f32', [...float(a).code, ...float(b).code, op])
const f32Compare =
  (op: number) =>
  (a: Float, b: Float): I32 =>
    new Expr('i32', [...float(a).code, ...float(b).code, op])
const f32Unary =
  (op: number) =>
  (a: Float): F32 =>
    new Expr('f32', [...float(a).code, op])

export const i32 = {
  const: (value: number): I32 => int(value),
  eqz: (a: Int): I32 => new Expr('i32', [...int(a).code, 0x45]),
  eq: i32Binary(0x46),
  ne: i32Binary(0x47),
  ltS: i32Binary(0x48),
  ltU: i32Binary(0x49),
  gtS: i32Binary(0x4a),
  gtU: i32Binary(0x4b),
  leS: i32Binary(0x4c),
  geS: i32Binary(0x4e),
  geU: i32Binary(0x4f),
  add: (a: Int, b: Int): I32 => (isConstant(b) && b === 0 ? int(a) : i32Binary(0x6a)(a, b)),
  sub: (a: Int, b: Int): I32 => (isConstant(b) && b === 0 ? int(a) : i32Binary(0x6b)(a, b)),
  mul: (a: Int, b: Int): I32 => (isConstant(b) && b === 1 ? int(a) : i32Binary(0x6c)(a, b)),
  divU: i32Binary(0x6e),
  remU: i32Binary(0x70),
  and: i32Binary(0x71),
  or: i32Binary(0x72),
  xor: i32Binary(0x73),
  shl: i32Binary(0x74),
  shrS: i32Binary(0x75),
  shrU: i32Binary(0x76),
  reinterpretF32: (a: Float): I32 => new Expr('i32', [...float(a).code, 0xbc]),
  truncSatF32: (a: Float): I32 => new Expr('i32', [...float(a).code, 0xfc, 0x00]),
  select: (condition: I32, a: Int, b: Int): I32 => new Expr('i32', [...int(a).code, ...int(b).code, ...condition.code, 0x1b]),
}

export const f32 = {
  const: (value: number): F32 => float(value),
  eq: f32Compare(0x5b),
  ne: f32Compare(0x5c),
  lt: f32Compare(0x5d),
  gt: f32Compare(0x5e),
  le: f32Compare(0x5f),
  ge: f32Compare(0x60),
  abs: f32Unary(0x8b),
  neg: f32Unary(0x8c),
  sqrt: f32Unary(0x91),
  nearest: f32Unary(0x90),
  add: f32Binary(0x92),
  sub: f32Binary(0x93),
  mul: f32Binary(0x94),
  div: f32Binary(0x95),
  min: f32Binary(0x96),
  max: f32Binary(0x97),
  convertI32: (a: Int): F32 => new Expr('f32', [...int(a).code, 0xb2]),
  reinterpretI32: (a: Int): F32 => new Expr('f32', [...int(a).code, 0xbe]),
  select: (condition: I32, a: Float, b: Float): F32 => new Expr('f32', [...float(a).code, ...float(b).code, ...condition.code, 0x1b]),
}

const simd = (op: number): number[] => [0xfd, ...unsigned(op)]
const unary =
  (op: number) =>
  (a: V128): V128 =>
    new Expr('v128', [...a.code, ...simd(op)])
const binary =
  (op: number) =>
  (a: V128, b: V128): V128 =>
    new Expr('v128', [...a.code, ...b.code, ...simd(op)])
const ternary =
  (op: number) =>
  (a: V128, b: V128, c: V128): V128 =>
    new Expr('v128', [...a.code, ...b.code, ...c.code, ...simd(op)])
const shift =
  (op: number) =>
  (a: V128, count: Int): V128 =>
    new Expr('v128', [...a.code, ...int(count).code, ...simd(op)])
const constant = (bytes: ArrayLike<number>): V128 => new Expr('v128', [...simd(12), ...Array.from(bytes)])
const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

export const v128 = {
  zero: (): V128 => constant(new Uint8Array(16)),
  and: binary(78),
  andNot: binary(79),
  or: binary(80),
  xor: binary(81),
  bitselect: ternary(82),
  anyTrue: (a: V128): I32 => new Expr('i32', [...a.code, ...simd(83)]),
}

export const i8x16 = {
  const: (values: readonly number[]): V128 => constant(bytesOf(Int8Array.from(values))),
  splat: (a: Int): V128 => (isConstant(a) ? constant(new Uint8Array(16).fill(a)) : new Expr('v128', [...a.code, ...simd(15)])),
  /** Lanes 0–15 pick from a, 16–31 from b. */
  shuffle: (a: V128, b: V128, lanes: readonly number[]): V128 => new Expr('v128', [...a.code, ...b.code, ...simd(13), ...lanes]),
  swizzle: binary(14),
  relaxedSwizzle: binary(0x100),
  eq: binary(35),
  narrowI16x8S: binary(101),
  add: binary(110),
  sub: binary(113),
}

export const i16x8 = {
  const: (values: readonly number[]): V128 => constant(bytesOf(Int16Array.from(values))),
  splat: (a: Int): V128 => (isConstant(a) ? constant(bytesOf(new Int16Array(8).fill(a))) : new Expr('v128', [...a.code, ...simd(16)])),
  add: binary(142),
  sub: binary(145),
  mul: binary(149),
  shl: shift(139),
  shrS: shift(140),
  shrU: shift(141),
  narrowI32x4S: binary(133),
  extendLowI8x16S: unary(135),
  extendHighI8x16S: unary(136),
  extaddPairwiseI8x16S: unary(124),
  /** Pair sums of signed a times b, b in 0…127: the same on every engine. */
  relaxedDotI8x16I7x16S: binary(0x112),
}

export const i32x4 = {
  const: (values: readonly number[]): V128 => constant(bytesOf(Int32Array.from(values))),
  splat: (a: Int): V128 => (isConstant(a) ? constant(bytesOf(new Int32Array(4).fill(a))) : new Expr('v128', [...a.code, ...simd(17)])),
  extractLane: (a: V128, lane: number): I32 => new Expr('i32', [...a.code, ...simd(27), lane]),
  add: binary(174),
  sub: binary(177),
  mul: binary(181),
  minS: binary(182),
  maxS: binary(184),
  gtS: binary(0x3b),
  shl: shift(171),
  shrS: shift(172),
  shrU: shift(173),
  dotI16x8S: binary(186),
  extendLowI16x8S: unary(167),
  extendHighI16x8S: unary(168),
  extendLowI16x8U: unary(169),
  extendHighI16x8U: unary(170),
  extaddPairwiseI16x8S: unary(126),
  truncSatF32x4S: unary(248),
  relaxedTruncF32x4S: unary(0x101),
}

export const f32x4 = {
  const: (values: readonly number[]): V128 => constant(bytesOf(Float32Array.from(values))),
  splat: (a: Float): V128 =>
    isConstant(a as Int) ? constant(bytesOf(new Float32Array(4).fill(a as number))) : new Expr('v128', [...float(a).code, ...simd(19)]),
  extractLane: (a: V128, lane: number): F32 => new Expr('f32', [...a.code, ...simd(31), lane]),
  eq: binary(65),
  lt: binary(67),
  gt: binary(68),
  le: binary(69),
  ge: binary(70),
  abs: unary(224),
  neg: unary(225),
  sqrt: unary(227),
  add: binary(228),
  sub: binary(229),
  mul: binary(230),
  div: binary(231),
  /** b < a ? b : a — one instruction on x86, where `min` takes seven. */
  pmin: binary(234),
  pmax: binary(235),
  nearest: unary(106),
  convertI32x4S: unary(250),
  relaxedMadd: ternary(0x105),
}

/** One of the module's memories: loads are expressions, stores are statements. `offset` is a constant byte offset below 2^32. */
export class Memory {
  readonly index: number
  constructor(index: number) {
    this.index = index
  }
  /** Alignment is a hint; one byte is always allowed. */
  #memarg(offset: number, align = 0): number[] {
    return this.index === 0 ? [align, ...unsigned(offset)] : [align | 0x40, ...unsigned(this.index), ...unsigned(offset)]
  }
  #load<T extends ValueType>(type: T, op: number[], ptr: Int, offset: number, align = 0): Expr<T> {
    return new Expr(type, [...int(ptr).code, ...op, ...this.#memarg(offset, align)])
  }
  #store(op: number[], ptr: Int, value: Expr, offset: number, align = 0): Statement {
    return new Statement([...int(ptr).code, ...value.code, ...op, ...this.#memarg(offset, align)])
  }
  i32(ptr: Int, offset = 0): I32 {
    return this.#load('i32', [0x28], ptr, offset)
  }
  u8(ptr: Int, offset = 0): I32 {
    return this.#load('i32', [0x2d], ptr, offset)
  }
  u16(ptr: Int, offset = 0): I32 {
    return this.#load('i32', [0x2f], ptr, offset)
  }
  f32(ptr: Int, offset = 0): F32 {
    return this.#load('f32', [0x2a], ptr, offset)
  }
  v128(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(0), ptr, offset)
  }
  load8x8S(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(1), ptr, offset)
  }
  load8x8U(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(2), ptr, offset)
  }
  load16x4U(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(4), ptr, offset)
  }
  splat8(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(7), ptr, offset)
  }
  splat16(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(8), ptr, offset)
  }
  splat32(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(9), ptr, offset)
  }
  splat64(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(10), ptr, offset)
  }
  /** Four bytes into lane 0, the rest zero. */
  zero32(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(92), ptr, offset)
  }
  zero64(ptr: Int, offset = 0): V128 {
    return this.#load('v128', simd(93), ptr, offset)
  }
  storeI32(ptr: Int, value: Int, offset = 0): Statement {
    return this.#store([0x36], ptr, int(value), offset)
  }
  storeU8(ptr: Int, value: Int, offset = 0): Statement {
    return this.#store([0x3a], ptr, int(value), offset)
  }
  storeU16(ptr: Int, value: Int, offset = 0): Statement {
    return this.#store([0x3b], ptr, int(value), offset)
  }
  storeF32(ptr: Int, value: Float, offset = 0): Statement {
    return this.#store([0x38], ptr, float(value), offset)
  }
  storeV128(ptr: Int, value: V128, offset = 0): Statement {
    return this.#store(simd(11), ptr, value, offset)
  }
  /** The low 8 bytes of a vector. */
  storeLow64(ptr: Int, value: V128, offset = 0): Statement {
    return new Statement([...int(ptr).code, ...value.code, ...simd(91), ...this.#memarg(offset), 0])
  }
  storeLow32(ptr: Int, value: V128, offset = 0): Statement {
    return new Statement([...int(ptr).code, ...value.code, ...simd(90), ...this.#memarg(offset), 0])
  }
  atomicLoad(ptr: Int, offset = 0): I32 {
    return this.#load('i32', [0xfe, 0x10], ptr, offset, 2)
  }
  atomicStore(ptr: Int, value: Int, offset = 0): Statement {
    return this.#store([0xfe, 0x17], ptr, int(value), offset, 2)
  }
  /** Adds and gives the old value. */
  atomicAdd(ptr: Int, value: Int, offset = 0): I32 {
    return new Expr('i32', [...int(ptr).code, ...int(value).code, 0xfe, 0x1e, ...this.#memarg(offset, 2)])
  }
  /** Copies bytes; the source may lie in another memory. */
  copy(to: Int, from: Int, bytes: Int, source: Memory = this): Statement {
    return new Statement([...int(to).code, ...int(from).code, ...int(bytes).code, 0xfc, 10, this.index, source.index])
  }
  fill(ptr: Int, byte: Int, bytes: Int): Statement {
    return new Statement([...int(ptr).code, ...int(byte).code, ...int(bytes).code, 0xfc, 11, this.index])
  }
}

/** Code that leaves nothing on the stack. */
export class Statement {
  readonly code: readonly number[]
  constructor(code: readonly number[]) {
    this.code = code
  }
}

/** The body of one function under construction. */
export class FunctionBuilder {
  readonly #body: number[] = []
  readonly #locals: ValueType[] = []
  readonly #parameterCount: number

  constructor(parameterCount: number) {
    this.#parameterCount = parameterCount
  }

  /** A new local, zero unless a first value is given (which is assigned at this place, also inside loops). */
  local<T extends ValueType>(type: T, value?: Expr<T> | number): Local<T> {
    const local = new Local(type, this.#parameterCount + this.#locals.length)
    this.#locals.push(type)
    if (value !== undefined) this.set(local, typeof value === 'number' ? (literal(type, value) as Expr<T>) : value)
    return local
  }
  i32(value?: Int): Local<'i32'> {
    return this.local('i32', value)
  }
  f32(value?: Float): Local<'f32'> {
    return this.local('f32', value)
  }
  v128(value?: V128): Local<'v128'> {
    return this.local('v128', value)
  }
  set<T extends ValueType>(local: Local<T>, value: Expr<T> | number): void {
    const code = typeof value === 'number' ? literal(local.type, value).code : value.code
    push(this.#body, code)
    this.#body.push(0x21, ...unsigned(local.index))
  }
  /** local += amount */
  advance(local: Local<'i32'>, amount: Int): void {
    this.set(local, i32.add(local, amount))
  }
  do(...statements: Statement[]): void {
    for (const statement of statements) push(this.#body, statement.code)
  }
  drop(value: Expr): void {
    push(this.#body, value.code)
    this.#body.push(0x1a)
  }
  if(condition: I32, then: () => void, otherwise?: () => void): void {
    push(this.#body, condition.code)
    this.#body.push(0x04, 0x40)
    then()
    if (otherwise) {
      this.#body.push(0x05)
      otherwise()
    }
    this.#body.push(0x0b)
  }
  /** Runs the body while the condition holds, testing first. */
  while(condition: () => I32, body: () => void): void {
    this.#body.push(0x02, 0x40, 0x03, 0x40)
    push(this.#body, i32.eqz(condition()).code)
    this.#body.push(0x0d, 1)
    body()
    this.#body.push(0x0c, 0, 0x0b, 0x0b)
  }
  /** Runs the body at least once, and again while the condition holds: one branch per iteration. */
  doWhile(body: () => void, condition: () => I32): void {
    this.#body.push(0x03, 0x40)
    body()
    push(this.#body, condition().code)
    this.#body.push(0x0d, 0, 0x0b)
  }
  /** Runs the body `count` times (possibly never); the counter counts down. */
  times(count: Int, body: () => void): void {
    const left = this.i32(count)
    this.if(left, () =>
      this.doWhile(body, () => {
        this.set(left, i32.sub(left, 1))
        return left
      }),
    )
  }
  /** for (i = from; i < to; i += step), unsigned. */
  for(from: Int, to: Int, step: Int, body: (i: Local<'i32'>) => void): void {
    const i = this.i32(from)
    this.while(
      () => i32.ltU(i, to),
      () => {
        body(i)
        this.advance(i, step)
      },
    )
  }
  return(value?: Expr): void {
    if (value) push(this.#body, value.code)
    this.#body.push(0x0f)
  }

  encode(): number[] {
    const groups: number[] = []
    for (const type of this.#locals) groups.push(1, TYPE_CODE[type])
    const code = [...unsigned(this.#locals.length), ...groups]
    push(code, this.#body)
    code.push(0x0b)
    return sized(code)
  }
}

const literal = (type: ValueType, value: number): Expr => {
  if (type === 'i32') return int(value)
  if (type === 'f32') return float(value)
  throw new TypeError(`a ${type} local needs an expression, got the number ${value}`)
}
/** Appends without spreading: argument lists have a length limit. */
const push = (out: number[], code: readonly number[]): void => {
  for (let i = 0; i < code.length; i++) out.push(code[i]!)
}
const sized = (code: readonly number[]): number[] => unsigned(code.length).concat(code)
const utf8 = (text: string): number[] => sized(Array.from(new TextEncoder().encode(text)))

type Parameters = Record<string, ValueType>
type ParameterLocals<P extends Parameters> = { [K in keyof P]: Local<P[K]> }
type Body<P extends Parameters, Result> = (f: FunctionBuilder, p: ParameterLocals<P>) => Result

/** A module that imports its memories as `memory.0`, `memory.1` … and exports its functions. */
export class ModuleBuilder {
  readonly #types: number[][] = []
  readonly #functions: { name: string; type: number; code: number[] }[] = []
  readonly #memories: { memory: Memory; shared: boolean }[] = []

  memory(shared: boolean): Memory {
    const memory = new Memory(this.#memories.length)
    this.#memories.push({ memory, shared })
    return memory
  }

  /** Declares and encodes one exported function; parameter order is the order of the keys. With `result`, the body gives the value. */
  func<P extends Parameters>(name: string, parameters: P, body: Body<P, void>): void
  func<P extends Parameters>(name: string, parameters: P, body: Body<P, Expr>, result: ValueType): void
  func<P extends Parameters>(name: string, parameters: P, body: Body<P, unknown>, result?: ValueType): void {
    const names = Object.keys(parameters)
    const f = new FunctionBuilder(names.length)
    const locals = Object.fromEntries(names.map((key, i) => [key, new Local(parameters[key]!, i)])) as ParameterLocals<P>
    const value = body(f, locals)
    if (result) {
      if (!(value instanceof Expr && value.type === result))
        throw new TypeError(`function ${name} must end with a value of type ${result}, got ${(value as Expr | undefined)?.type}`)
      f.return(value)
    }
    const results = result ? [TYPE_CODE[result]] : []
    const type = [0x60, ...sized(names.map((key) => TYPE_CODE[parameters[key]!])), ...sized(results)]
    let index = this.#types.findIndex((known) => known.join() === type.join())
    if (index < 0) index = this.#types.push(type) - 1
    this.#functions.push({ name, type: index, code: f.encode() })
  }

  encode(): Uint8Array<ArrayBuffer> {
    const out: number[] = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
    const section = (id: number, entries: number[][]) => {
      out.push(id)
      const content = unsigned(entries.length)
      for (const entry of entries) push(content, entry)
      push(out, sized(content))
    }
    section(1, this.#types)
    // Limits: shared memories must declare a maximum; the import accepts any memory up to 4 GiB.
    const limits = (shared: boolean) => (shared ? [3, 0, ...unsigned(65536)] : [0, 0])
    section(
      2,
      this.#memories.map(({ memory, shared }) => [...utf8('memory'), ...utf8(String(memory.index)), 2, ...limits(shared)]),
    )
    section(
      3,
      this.#functions.map(({ type }) => unsigned(type)),
    )
    section(
      7,
      this.#functions.map(({ name }, i) => [...utf8(name), 0, ...unsigned(i)]),
    )
    section(
      10,
      this.#functions.map(({ code }) => code),
    )
    return Uint8Array.from(out)
  }
}
