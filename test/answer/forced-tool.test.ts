/** A forced tool of the embedded model through the public API: whatever is drawn, the arguments follow the schema of the tool. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { load } from '../../src/index.ts'

const paint = {
  name: 'paint',
  parameters: {
    type: 'object',
    properties: { color: { enum: ['red', 'green', 'blue'] }, coats: { type: 'integer', minimum: 1, maximum: 9 } },
    required: ['color', 'coats'],
    additionalProperties: false,
  },
}

test("load('abacus').chat with a forced tool: valid arguments for 100 seeds", async () => {
  await using model = await load('abacus', { threads: 1, slots: 10, context: 512 })
  const colours = new Set<string>()
  const one = async (seed: number) => {
    let calls = 0
    const options = { tools: [paint], toolChoice: { name: 'paint' }, thinking: 'low' as const, sampling: { seed, temperature: 1 } }
    for await (const event of model.chat([{ role: 'user', content: 'Paint it.' }], options)) {
      if (event.type === 'text-delta') assert.fail(`seed ${seed}: text ${event.delta}`)
      if (event.type === 'finish') assert.equal(event.reason, 'tool-calls', `seed ${seed}`)
      if (event.type !== 'tool-call-end') continue
      calls++
      assert.equal(event.name, 'paint')
      const { color, coats, ...others } = JSON.parse(event.arguments) as { color: string; coats: number }
      assert.ok(['red', 'green', 'blue'].includes(color), event.arguments)
      assert.ok(Number.isInteger(coats) && coats >= 1 && coats <= 9, event.arguments)
      assert.deepEqual(others, {})
      colours.add(color)
    }
    assert.equal(calls, 1, `seed ${seed}`)
  }
  for (let seed = 0; seed < 100; seed += 10) await Promise.all(Array.from({ length: 10 }, (_, i) => one(seed + i)))
  assert.ok(colours.size > 1, 'the seeds draw different arguments')
})
