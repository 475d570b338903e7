/** Checks a stream of response events: numbering, nesting, stable ids and indexes, deltas that add up. Returns the final response. */
import assert from 'node:assert/strict'
import type { Json } from './scripted-app.ts'

export function checkEventStack(events: readonly Json[]): Json {
  events.forEach((event, i) => {
    assert.equal(event.sequence_number, i)
  })
  assert.equal(events[0].type, 'response.created')
  assert.deepEqual(events[0].response.output, [])
  const last = events.at(-1)
  assert.match(last.type, /^response\.(completed|incomplete|failed)$/)

  const items: Json[] = []
  let open: Json
  let part: { text: string } | undefined
  for (const event of events.slice(1, -1)) {
    if (event.item_id !== undefined) {
      assert.equal(event.item_id, open?.item.id, event.type)
      assert.equal(event.output_index, items.length, event.type)
    }
    switch (event.type) {
      case 'response.queued':
      case 'response.in_progress':
        assert.equal(items.length, 0)
        break
      case 'response.output_item.added':
        assert.equal(open, undefined, 'items do not overlap')
        assert.equal(event.output_index, items.length)
        open = { item: event.item, arguments: '' }
        break
      case 'response.content_part.added':
        assert.equal(part, undefined, 'parts do not overlap')
        part = { text: '' }
        break
      case 'response.reasoning_text.delta':
      case 'response.output_text.delta':
        assert.ok(part, 'a part is announced before its deltas')
        part.text += event.delta
        break
      case 'response.reasoning_text.done':
      case 'response.output_text.done':
        assert.equal(event.text, part?.text)
        break
      case 'response.content_part.done':
        assert.equal(event.part.text, part?.text)
        part = undefined
        break
      case 'response.function_call_arguments.delta':
        open.arguments += event.delta
        break
      case 'response.function_call_arguments.done':
        assert.equal(event.arguments, open.arguments)
        assert.equal(event.name, open.item.name)
        break
      case 'response.output_item.done':
        assert.equal(part, undefined)
        assert.equal(event.item.id, open.item.id)
        assert.equal(event.output_index, items.length)
        items.push(event.item)
        open = undefined
        break
      default:
        assert.fail(`unexpected event ${event.type}`)
    }
  }
  assert.equal(open, undefined, 'every item is done')
  assert.deepEqual(last.response.output, items)
  return last.response
}
