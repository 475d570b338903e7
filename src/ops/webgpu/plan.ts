/**
 * Nodes of a pass -> dispatches with pipelines, bind groups and places in memory. A plan is made once per form of a pass and then encoded
 * again and again: nothing is created for it any more.
 */
import type { Buffers } from './buffers.ts'
import { type Lowered, lower } from './kernels/kernels.ts'
import type { Node, Recorder } from './record.ts'
import { oneRun, type Split, splitsOf } from './rows.ts'
import { Temporary } from './tensor.ts'
import { PARAMETER_BYTES, type Shader, type ShaderText, shader, type Variants } from './wgsl.ts'

/** A parameter of a dispatch: a number, or the place of a temporary with so many values after it. */
export type Value = number | Temporary | { readonly of: Temporary; readonly plus: number }

export interface Dispatch {
  readonly shader: Shader
  readonly values: Readonly<Record<string, Value>>
  readonly buffers: readonly GPUBuffer[]
  readonly grid: readonly [number, number, number]
}

/** What nodes are lowered to. */
export class Lowering {
  readonly variants: Variants
  readonly dispatches: Dispatch[] = []
  readonly #shaders: Map<string, Shader>
  readonly #splits: ReadonlyMap<Temporary, Split>

  constructor(variants: Variants, shaders: Map<string, Shader>, splits: ReadonlyMap<Temporary, Split>) {
    this.variants = variants
    this.#splits = splits
    this.#shaders = shaders
  }

  /** The shader of a key, whose text is made once. */
  shader(key: string, text: () => Omit<ShaderText, 'key'>): Shader {
    let known = this.#shaders.get(key)
    if (!known) {
      known = shader({ key, ...text() })
      this.#shaders.set(key, known)
    }
    return known
  }

  /** How the rows of a temporary are computed. Rows that belong to no batch are one run. */
  splitOf(x: Temporary, rows: number): Split {
    const split = this.#splits.get(x)
    return split?.rows === rows ? split : oneRun(rows)
  }

  /** Memory that only the dispatches of one node need. */
  scratch(...shape: number[]): Temporary {
    const made = new Temporary(shape, -1)
    made.open = false
    return made
  }

  dispatch(
    shader: Shader,
    values: Readonly<Record<string, Value>>,
    grid: readonly [number, number, number],
    buffers: readonly GPUBuffer[] = [],
  ): void {
    this.dispatches.push({ shader, values, buffers, grid })
  }
}

export interface Plan {
  readonly form: Float64Array
  readonly dispatches: readonly Dispatch[]
  readonly encoded: readonly { readonly pipeline: GPUComputePipeline; readonly group: GPUBindGroup; readonly grid: readonly number[] }[]
  /** Places of the temporaries that outlive the pass, by number. */
  readonly kept: readonly { readonly id: number; readonly place: number }[]
  readonly parameters: GPUBuffer | undefined
}

/** How many plans are kept: a few widths of decoding with ids of the host and of the device, prompts of a few lengths. */
const KEPT_PLANS = 32
/** Temporaries begin at multiples of so many f32. */
const ALIGNED = 4
/** So many drawn ids that wait for the next pass have one of four places before all others: a pass then has the same form each time. */
export const MOST_DRAWN = 64
/** Where other temporaries begin, in f32. */
export const FIRST_PLACE = 4 * MOST_DRAWN

export class Plans {
  readonly #buffers: Buffers
  readonly #shaders = new Map<string, Shader>()
  #plans: Plan[] = []
  /** Rewrites nodes before they are lowered. */
  readonly #fuse: (nodes: readonly Node[]) => readonly Lowered[]

  constructor(buffers: Buffers, fuse: (nodes: readonly Node[]) => readonly Lowered[]) {
    this.#buffers = buffers
    this.#fuse = fuse
    buffers.onReplaced = () => this.drop()
  }

  /** The plan of what is recorded. Temporaries that stay open get their places. */
  of(recorder: Recorder): Plan {
    const open = recorder.made.filter((temporary) => temporary.open)
    const { form } = recorder
    form.push(open.length)
    for (const { id } of open) form.push(id)
    for (const { at, count } of this.#buffers.blocks()) {
      form.push(at)
      form.push(count)
    }
    this.#buffers.needWords(recorder.used)
    const at = this.#plans.findIndex((plan) => form.equals(plan.form))
    let plan: Plan
    if (at < 0) plan = this.#make(recorder, open)
    else plan = this.#plans.splice(at, 1)[0]!
    this.#plans.unshift(plan)
    for (const old of this.#plans.splice(KEPT_PLANS)) old.parameters?.destroy()
    for (const { id, place } of plan.kept) {
      const temporary = recorder.made[id]!
      temporary.place = place
      this.#buffers.occupy(temporary)
    }
    return plan
  }

  /** The newest plan, for accounts of what a pass costs. */
  get last(): Plan | undefined {
    return this.#plans[0]
  }

  drop(): void {
    for (const { parameters } of this.#plans.splice(0)) parameters?.destroy()
  }

  #make(recorder: Recorder, open: readonly Temporary[]): Plan {
    const lowering = new Lowering(this.#buffers.variants, this.#shaders, splitsOf(recorder.nodes))
    for (const node of this.#fuse(recorder.nodes)) lower(node, lowering)
    const { dispatches } = lowering
    const places = layOut(dispatches, open, this.#buffers.blocks())
    this.#buffers.needTemporaries(places.end)
    const parameters = dispatches.length ? this.#parameters(dispatches, places.of) : undefined
    const encoded = dispatches.map((dispatch, n) => ({
      pipeline: this.#buffers.pipeline(dispatch.shader),
      group: this.#buffers.group(dispatch.shader, parameters!, n * PARAMETER_BYTES, dispatch.buffers),
      grid: dispatch.grid,
    }))
    const kept = open.flatMap(({ id }) => {
      const place = places.of.get(recorder.made[id]!)
      return place === undefined ? [] : [{ id, place }]
    })
    return { form: recorder.form.copy(), dispatches, encoded, kept, parameters }
  }

  #parameters(dispatches: readonly Dispatch[], places: ReadonlyMap<Temporary, number>): GPUBuffer {
    const words = new Uint32Array((dispatches.length * PARAMETER_BYTES) / 4)
    const floats = new Float32Array(words.buffer)
    const placeOf = (temporary: Temporary) => temporary.place ?? places.get(temporary)!
    for (const [n, { shader, values }] of dispatches.entries())
      for (const [name, { at, float }] of shader.words) {
        const value = values[name]
        if (value === undefined) throw new TypeError(`${shader.key}: the parameter ${name} has no value`)
        const to = (n * PARAMETER_BYTES) / 4 + at
        if (typeof value !== 'number') words[to] = value instanceof Temporary ? placeOf(value) : placeOf(value.of) + value.plus
        else if (float) floats[to] = value
        else words[to] = value
      }
    return this.#buffers.uniforms(words)
  }
}

/** Places for the temporaries of a pass: each lives from its first dispatch to its last, or longer where it stays open. */
function layOut(dispatches: readonly Dispatch[], open: readonly Temporary[], blocks: readonly Block[]) {
  const last = new Map<Temporary, number>()
  const touched = dispatches.map(({ values }, n) => {
    const found = Object.values(values).flatMap((value) =>
      typeof value === 'number' ? [] : [value instanceof Temporary ? value : value.of],
    )
    for (const temporary of found) if (temporary.place === undefined) last.set(temporary, n)
    return found
  })
  const stay = new Set(open)
  const of = new Map<Temporary, number>()
  const used = [...blocks].sort((a, b) => a.at - b.at)
  let end = used.reduce((most, { at, count }) => Math.max(most, at + count), FIRST_PLACE)
  const place = (count: number): number => {
    let at = FIRST_PLACE
    let index = 0
    for (; index < used.length; index++) {
      if (used[index]!.at - at >= count) break
      at = Math.max(at, used[index]!.at + used[index]!.count)
    }
    used.splice(index, 0, { at, count })
    end = Math.max(end, at + count)
    return at
  }
  touched.forEach((found, n) => {
    for (const temporary of found)
      if (temporary.place === undefined && !of.has(temporary)) of.set(temporary, place(roundUp(temporary.count)))
    for (const temporary of found)
      if (last.get(temporary) === n && !stay.has(temporary)) {
        const at = of.get(temporary)
        const index = used.findIndex((block) => block.at === at)
        if (index >= 0) used.splice(index, 1)
        last.delete(temporary)
      }
  })
  return { of, end }
}

/** f32 of the memory of temporaries that are in use. */
export interface Block {
  readonly at: number
  readonly count: number
}

export const roundUp = (count: number): number => Math.max(ALIGNED, Math.ceil(count / ALIGNED) * ALIGNED)

export function encode(encoder: GPUCommandEncoder, { encoded }: Plan): void {
  const pass = encoder.beginComputePass()
  let current: GPUComputePipeline | undefined
  for (const { pipeline, group, grid } of encoded) {
    if (pipeline !== current) pass.setPipeline(pipeline)
    current = pipeline
    pass.setBindGroup(0, group)
    pass.dispatchWorkgroups(grid[0]!, grid[1], grid[2])
  }
  pass.end()
}
