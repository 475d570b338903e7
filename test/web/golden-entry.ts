/** What a page of the tests runs besides the web export: a checkpoint without a tokenizer, its logits and greedy ids. */
import { httpFolder } from '../../src/checkpoint/source-http.ts'
import { loadIds } from '../../src/load-model.ts'
import { forward } from '../../src/model/transformer.ts'
import { createWebgpuBackend } from '../../src/web.ts'

/** Logits of each prompt [T, V], and so many ids that follow it. */
export async function golden(url: string, prompts: number[][], counts: number[]) {
  const backend = await createWebgpuBackend()
  const { software, variants } = backend.device
  const model = await loadIds(httpFolder(url), backend, { context: 256, slots: 1 })
  const answers: { logits: number[]; greedy: number[] }[] = []
  for (const [n, prompt] of prompts.entries()) {
    const ids = Int32Array.from(prompt)
    const batch = { ids, slots: new Int32Array(ids.length), positions: ids.map((_, position) => position) }
    const logits = await backend.run(() => forward(backend, model.architecture, model.weights, batch))
    const { result } = model.engine.generate(prompt, { stopIds: [], maxTokens: counts[n]!, sampling: { temperature: 0 } })
    answers.push({ logits: [...logits], greedy: [...(await result).ids] })
  }
  await model.dispose()
  return { software, variants, answers }
}
