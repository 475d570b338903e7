"""Log-likelihoods of a text in strided windows, by the rule of transformers' guide "Perplexity of fixed-length models".

Usage: python strided-perplexity.py CHECKPOINT EVAL.json   (torch and transformers; EVAL.json has rolling[].text)
The numbers stand in test/evaluate/golden.test.ts. Sums are over the predicted ids; the guide weights each window by its ids less one.
"""
import json
import sys

import torch
import transformers

model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
text = '\n\n'.join(each['text'] for each in json.load(open(sys.argv[2]))['rolling'])
ids = tokenizer(text, return_tensors='pt').input_ids
for length, stride in [(512, 256), (512, 512), (128, 32), (128, 100)]:
    previous, total, count = 0, 0.0, 0
    for begin in range(0, ids.size(1), stride):
        end = min(begin + length, ids.size(1))
        targets = ids[:, begin:end].clone()
        targets[:, : previous - end] = -100
        with torch.no_grad():
            logits = model(ids[:, begin:end]).logits[0, :-1]
        kept = targets[0, 1:] != -100
        total -= torch.nn.functional.cross_entropy(logits[kept], targets[0, 1:][kept], reduction='sum').item()
        count += int(kept.sum())
        previous = end
        if end == ids.size(1):
            break
    print(json.dumps({'length': length, 'stride': stride, 'logprob': total, 'tokens': count}))
