/**
 * What a row of logits can be trained towards, besides the next token of a text: a reward (GRPO: Shao et al. 2024, arXiv:2402.03300, with the
 * clipped ratio of PPO, Schulman et al. 2017) or the distribution of a teacher (Hinton et al. 2015; on the student's own texts: Agarwal et
 * al. 2024, arXiv:2306.13649). Loss and gradient by the formula, in f64 per row.
 */

/** Values per row that is counted. */
export interface PolicyObjective {
  kind: 'policy'
  /** Of the answer to which the row belongs. */
  advantages: Float32Array
  /** Log-probability of the target under the weights that wrote it. */
  old: Float32Array
  /** Log-probability of the target under the weights at the start. */
  reference: Float32Array
  /** The ratio counts between 1 - clip and 1 + clip only. */
  clip: number
  /** Weight of the divergence from the start. */
  kl: number
}

export interface DistillationObjective {
  kind: 'distillation'
  /** Log-probabilities of the teacher, [rows, V]. */
  teacher: Float32Array
  /** 'forward': KL(teacher ‖ student), covers all that the teacher may say. 'reverse': KL(student ‖ teacher), for the student's own texts. */
  direction: 'forward' | 'reverse'
  /** Share of this loss; the rest is the cross-entropy of the target. */
  share: number
}

export type Objective = PolicyObjective | DistillationObjective

/** The rows [from, to) of an objective. */
export function objectiveRows<O extends Objective>(objective: O, from: number, to: number, V: number): O {
  if (objective.kind === 'distillation') return { ...objective, teacher: objective.teacher.subarray(from * V, to * V) }
  const { advantages, old, reference } = objective
  return { ...objective, advantages: advantages.subarray(from, to), old: old.subarray(from, to), reference: reference.subarray(from, to) }
}

/** Log-probabilities of one row of logits. */
export function logSoftmax(logits: ArrayLike<number>, from: number, V: number, into: Float64Array): void {
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < V; i++) most = Math.max(most, logits[from + i]!)
  let sum = 0
  for (let i = 0; i < V; i++) sum += Math.exp(logits[from + i]! - most)
  const norm = most + Math.log(sum)
  for (let i = 0; i < V; i++) into[i] = logits[from + i]! - norm
}

/**
 * The loss of rows of logits [rows, V], summed and times `scale`; its gradient is added to `gradient`, which has the shape of the logits.
 * Policy: -min(r·A, clip(r)·A) + kl·(exp(d) - d - 1) with r = exp(l - old) and d = reference - l (the estimator k3 of Schulman 2020).
 */
export function objectiveLoss(
  logits: ArrayLike<number>,
  targets: Int32Array,
  objective: Objective,
  scale: number,
  gradient: { [i: number]: number },
): number {
  const V = logits.length / targets.length
  const l = new Float64Array(V)
  let total = 0
  for (let r = 0; r < targets.length; r++) {
    const at = r * V
    logSoftmax(logits, at, V, l)
    const target = targets[r]!
    total +=
      objective.kind === 'policy'
        ? policyRow(l, target, objective, r, scale, gradient, at)
        : distillationRow(l, target, objective, r, scale, gradient, at)
  }
  return total * scale
}

/** Adds factor · d(log-probability of the target)/d(logits). */
function addSlope(l: Float64Array, target: number, factor: number, gradient: { [i: number]: number }, at: number): void {
  for (let i = 0; i < l.length; i++) gradient[at + i]! -= factor * Math.exp(l[i]!)
  gradient[at + target]! += factor
}

function policyRow(
  l: Float64Array,
  target: number,
  { advantages, old, reference, clip, kl }: PolicyObjective,
  r: number,
  scale: number,
  gradient: { [i: number]: number },
  at: number,
): number {
  const A = advantages[r]!
  const ratio = Math.exp(l[target]! - old[r]!)
  const free = ratio * A
  const clipped = Math.min(Math.max(ratio, 1 - clip), 1 + clip) * A
  const d = reference[r]! - l[target]!
  const slope = (free <= clipped ? -free : 0) + kl * (1 - Math.exp(d))
  addSlope(l, target, slope * scale, gradient, at)
  return -Math.min(free, clipped) + kl * (Math.exp(d) - d - 1)
}

function distillationRow(
  l: Float64Array,
  target: number,
  { teacher, direction, share }: DistillationObjective,
  r: number,
  scale: number,
  gradient: { [i: number]: number },
  at: number,
): number {
  const V = l.length
  const q = (i: number) => teacher[r * V + i]!
  let divergence = 0
  for (let i = 0; i < V; i++) divergence += direction === 'forward' ? Math.exp(q(i)) * (q(i) - l[i]!) : Math.exp(l[i]!) * (l[i]! - q(i))
  for (let i = 0; i < V; i++) {
    const p = Math.exp(l[i]!)
    gradient[at + i]! += share * scale * (direction === 'forward' ? p - Math.exp(q(i)) : p * (l[i]! - q(i) - divergence))
  }
  if (share < 1) addSlope(l, target, -(1 - share) * scale, gradient, at)
  return share * divergence - (1 - share) * l[target]!
}

/** (reward - mean) / deviation within a group; all zero where the rewards are equal. */
export function groupAdvantages(rewards: readonly number[]): number[] {
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length
  const deviation = Math.sqrt(rewards.reduce((sum, reward) => sum + (reward - mean) ** 2, 0) / rewards.length)
  return rewards.map((reward) => (deviation < 1e-6 ? 0 : (reward - mean) / (deviation + 1e-4)))
}
