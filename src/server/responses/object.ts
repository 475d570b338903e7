/** The response object with every key that the schema of Open Responses requires, null where there is nothing. */
import { newId, unixSeconds } from '../http/names.ts'
import type { ServedModel } from '../models/model.ts'
import type { ResponseRequest } from '../schemas/responses.ts'
import type { ResponseObject } from './builder.ts'
import { conversationOf } from './conversations.ts'

export function responseObject(body: ResponseRequest, model: ServedModel): ResponseObject {
  const sampling = model.format.sampling({})
  const conversation = conversationOf(body)
  return {
    id: newId('resp'),
    object: 'response',
    created_at: unixSeconds(),
    completed_at: null,
    status: body.background ? 'queued' : 'in_progress',
    incomplete_details: null,
    model: body.model,
    previous_response_id: body.previous_response_id ?? null,
    conversation: conversation === undefined ? null : { id: conversation },
    instructions: body.instructions ?? null,
    output: [],
    error: null,
    tools: (body.tools ?? []).map((tool) =>
      tool.type === 'function' ? { description: null, parameters: null, strict: false, ...tool } : tool,
    ),
    tool_choice: body.tool_choice ?? 'auto',
    truncation: body.truncation ?? 'disabled',
    parallel_tool_calls: body.parallel_tool_calls ?? model.format.capabilities.parallelToolCalls,
    text: { format: body.text?.format ?? { type: 'text' } },
    top_p: body.top_p ?? sampling.topP ?? 1,
    presence_penalty: body.presence_penalty ?? 0,
    frequency_penalty: body.frequency_penalty ?? 0,
    top_logprobs: body.top_logprobs ?? 0,
    temperature: body.temperature ?? sampling.temperature ?? 1,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: body.reasoning?.summary ?? null },
    usage: null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    store: body.store ?? true,
    background: body.background ?? false,
    service_tier: 'default',
    metadata: body.metadata ?? {},
    safety_identifier: body.safety_identifier ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    user: body.user ?? null,
  }
}
