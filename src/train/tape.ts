/**
 * An Ops that calls another Ops and records each step, so that gradients can be computed in reverse order. The backend computes
 * forward and backward. Reverse-mode differentiation: Rumelhart, Hinton & Williams 1986. It can keep the results of layers alone and run a
 * layer again when its gradients are due: Chen et al. 2016.
 */
import type { GradientOps } from '../ops/gradients.ts'
import type { Ops, Routing } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'

/** Scope of a layer. */
const LAYER = /^layers\.\d+$/

export class Tape implements Ops {
  readonly #inner: GradientOps
  readonly #recomputes: boolean
  #steps: (() => void)[] = []
  /** The residual stream before the next layer. */
  #stream: Tensor | undefined
  /** The routings of this pass with the weight of their load-balancing loss, in layer order. */
  readonly routings: { routing: Routing; coefficient: number }[] = []

  /** @param recomputes layers run twice, and memory holds what one of them needs; not for routers with a load-balancing loss */
  constructor(inner: GradientOps, recomputes = false) {
    this.#inner = inner
    this.#recomputes = recomputes
  }

  #record<T>(y: T, backward: (y: T) => void): T {
    this.#steps.push(() => backward(y))
    return y
  }

  /** A scope frees nothing here, because the backward pass needs the results of the forward pass; unless layers are run again for it. */
  scope<R>(name: string, body: () => R): R {
    if (this.#recomputes && LAYER.test(name)) return this.#layer(body as () => Tensor) as R
    const y = body()
    if (name === 'embedding') this.#stream = y as Tensor
    return y
  }

  #layer(body: () => Tensor): Tensor {
    /** Runs `work` with a list of steps of its own. */
    const aside = <R>(work: () => R): R => {
      const steps = this.#steps
      this.#steps = []
      const y = work()
      this.#steps = steps
      return y
    }
    const { y, again } = aside(() => this.#inner.recomputed(this.#stream!, body))
    this.#stream = y
    return this.#record(y, () => aside(() => again(() => this.#unwind())))
  }

  embed: Ops['embed'] = (...a) => this.#record(this.#inner.embed(...a), (y) => this.#inner.embedBackward(y, ...a))
  add: Ops['add'] = (...a) => this.#record(this.#inner.add(...a), (y) => this.#inner.addBackward(y, ...a))
  linear: Ops['linear'] = (...a) => this.#record(this.#inner.linear(...a), (y) => this.#inner.linearBackward(y, ...a))
  join: Ops['join'] = (...a) => this.#record(this.#inner.join(...a), (y) => this.#inner.joinBackward(y, ...a))
  layerNorm: Ops['layerNorm'] = (...a) => this.#record(this.#inner.layerNorm(...a), (y) => this.#inner.layerNormBackward(y, ...a))
  rmsNorm: Ops['rmsNorm'] = (...a) => this.#record(this.#inner.rmsNorm(...a), (y) => this.#inner.rmsNormBackward(y, ...a))
  rope: Ops['rope'] = (...a) => this.#record(this.#inner.rope(...a), (y) => this.#inner.ropeBackward(y, ...a))
  attention: Ops['attention'] = (...a) => this.#record(this.#inner.attention(...a), (y) => this.#inner.attentionBackward(y, ...a))
  convolution: Ops['convolution'] = (...[x, weight, bias, batch]) =>
    this.#record(this.#inner.convolution(x, weight, bias, batch), (y) => this.#inner.convolutionBackward(y, x, weight, bias, batch))
  selectiveScan: Ops['selectiveScan'] = (...[x, scan, batch]) =>
    this.#record(this.#inner.selectiveScan(x, scan, batch), (y) => this.#inner.selectiveScanBackward(y, x, scan, batch))
  gelu: Ops['gelu'] = (...a) => this.#record(this.#inner.gelu(...a), (y) => this.#inner.geluBackward(y, ...a))
  gated: Ops['gated'] = (...a) => this.#record(this.#inner.gated(...a), (y) => this.#inner.gatedBackward(y, ...a))
  moe: Ops['moe'] = (...a) => this.#record(this.#inner.moe(...a), (y) => this.#inner.moeBackward(y, ...a))
  select: Ops['select'] = (...a) => this.#record(this.#inner.select(...a), (y) => this.#inner.selectBackward(y, ...a))
  scale: Ops['scale'] = (...a) => this.#record(this.#inner.scale(...a), (y) => this.#inner.scaleBackward(y, ...a))
  clamp: Ops['clamp'] = (...a) => this.#record(this.#inner.clamp(...a), (y) => this.#inner.clampBackward(y, ...a))
  softcap: Ops['softcap'] = (...a) => this.#record(this.#inner.softcap(...a), (y) => this.#inner.softcapBackward(y, ...a))
  dropout: GradientOps['dropout'] = (...a) => this.#record(this.#inner.dropout(...a), (y) => this.#inner.dropoutBackward(y, ...a))

  route: Ops['route'] = (...a) => {
    const routing = this.#record(this.#inner.route(...a), (y) => this.#inner.routeBackward(y, ...a))
    this.routings.push({ routing, coefficient: a[4].auxLossCoef })
    return routing
  }

  /** The mean negative log likelihood of the targets, as [1]. */
  crossEntropy(logits: Tensor, targets: Int32Array, scale: number): Tensor {
    return this.#record(this.#inner.crossEntropy(logits, targets, scale), (y) =>
      this.#inner.crossEntropyBackward(y, logits, targets, scale),
    )
  }

  /** `loss`, if there is one, plus `scale` times the mean over layers of coefficient times load-balancing loss. Without coefficients: `loss` itself. */
  withBalance<L extends Tensor | undefined>(loss: L, scale = 1): L | Tensor {
    const wanted = this.routings.filter(({ coefficient }) => coefficient > 0)
    if (wanted.length === 0) return loss
    const terms: Tensor[] = loss ? [loss] : []
    const factors = loss ? [1] : []
    for (const { routing, coefficient } of wanted) {
      terms.push(this.#record(this.#inner.balanceLoss(routing), (y) => this.#inner.balanceLossBackward(y, routing)))
      factors.push((coefficient * scale) / this.routings.length)
    }
    return this.#record(this.#inner.combine(terms, factors), (y) => this.#inner.combineBackward(y, terms, factors))
  }

  /** Runs the recorded steps in reverse from d loss = 1, or from the gradients that results have. Gradients are added to those of the weights. */
  backward(loss: Tensor | undefined): void {
    if (loss) this.#inner.seed(loss)
    this.#unwind()
  }

  #unwind(): void {
    while (this.#steps.length > 0) this.#steps.pop()!()
  }
}
