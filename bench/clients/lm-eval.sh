#!/bin/sh
# lm-evaluation-harness against a running `lineage serve`, with more stop texts than OpenAI allows, and with its remote tokenizer.
# pip install 'lm_eval[api]'; lineage serve --port 8080 & sh lm-eval.sh http://127.0.0.1:8080 abacus
set -e
base=${1:-http://127.0.0.1:8080}
model=${2:-abacus}
work=$(mktemp -d)
printf '{"q":"12 * 7"}\n{"q":"3 + 4"}\n' > "$work/data.jsonl"
cat > "$work/stops.yaml" <<YAML
task: stops
dataset_path: json
dataset_kwargs: { data_files: { test: $work/data.jsonl } }
test_split: test
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "84"
generation_kwargs: { until: ["\n\n", "Q:", "</s>", "<|im_end|>", "Question", "User:"], max_gen_toks: 8, temperature: 0.0 }
metric_list: [{ metric: exact_match }]
YAML
lm_eval --model local-completions --include_path "$work" --tasks stops --output_path "$work/out" \
  --model_args "model=$model,base_url=$base/v1/completions,tokenizer_backend=remote,tokenized_requests=False,max_length=512"
