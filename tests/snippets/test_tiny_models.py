"""The post on tiny models: a multi-label classifier of toxic comments, with the import changed.

Data, sizes and steps are smaller; ``TrainingArguments`` and ``pl.Trainer`` are given what their
libraries take today, and ``torch.load`` is told that the file is our own.
"""

from __future__ import annotations

import sys
import types

import pytest
import torch
import transformers

LOAD = """
from transformers import AutoConfig, AutoTokenizer, AutoModel

MAX_LENGTH = 40
BATCH_SIZE = 4
LEARNING_RATE = 1e-02

MODEL_NAME = "google/bert_uncased_L-2_H-128_A-2"

config = AutoConfig.from_pretrained(MODEL_NAME)
tokenizer = AutoTokenizer.from_pretrained(MODEL_NAME)
transformer_model = AutoModel.from_pretrained(MODEL_NAME)
"""
DATASET = """
import torch
from torch.utils.data import Dataset, DataLoader

device = 'cpu'

class TransformersDataset(Dataset):
    def __init__(self, texts, labels, tokenizer, max_length):
        self.encoded_inputs = tokenizer(texts, truncation=True, padding=True,
            max_length=max_length, return_tensors="pt")
        self.labels = torch.tensor(labels, dtype=torch.float)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        inputs_ands_labels = dict()
        for key in ["input_ids", "attention_mask", "token_type_ids"]:
            inputs_ands_labels[key] = self.encoded_inputs[key][index]
        inputs_ands_labels['labels'] = self.labels[index]
        return inputs_ands_labels

train_dataset = TransformersDataset(train_texts, train_labels, tokenizer, MAX_LENGTH)
test_dataset = TransformersDataset(test_texts, test_labels, tokenizer, MAX_LENGTH)

training_loader = DataLoader(train_dataset, BATCH_SIZE, shuffle=True, num_workers=0)
testing_loader = DataLoader(test_dataset, BATCH_SIZE, shuffle=False, num_workers=0)
"""
MODEL = """
from torch.nn.functional import binary_cross_entropy_with_logits

class MultiLabelTransformer(torch.nn.Module):
    def __init__(self, transformer_model, config, n_labels):
        super().__init__()
        self.transformer_model = transformer_model
        self.dropout = torch.nn.Dropout(config.hidden_dropout_prob)
        self.classifier = torch.nn.Linear(config.hidden_size, n_labels)

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, labels=None):
        pooled_output = self.transformer_model(
            input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).pooler_output
        pooled_output = self.dropout(pooled_output)
        logits  = self.classifier(pooled_output)

        if labels is None:
            return logits
        else:
            return binary_cross_entropy_with_logits(logits, labels), logits

model = MultiLabelTransformer(transformer_model, config, train_labels.shape[1])
model.to(device) # Move our model from memory to the GPU's memory

optimizer = torch.optim.Adam(params=model.parameters(), lr=LEARNING_RATE)
"""
INFERENCE = """
tokenizer = AutoTokenizer.from_pretrained(MODEL_NAME)
loaded_model = torch.load("./model.pt", weights_only=False)
loaded_model.eval()  # Run to finish loading the model

def score_text(text, tokenizer=tokenizer, model=loaded_model):
    inputs = tokenizer.encode_plus(
        text, max_length=MAX_LENGTH, padding='max_length',
        return_token_type_ids=False, return_attention_mask=False
    )

    token_ids = torch.tensor(inputs['input_ids'], dtype=torch.long).reshape(1, -1)
    token_ids = token_ids.to(device)

    logits = model(token_ids)
    scores = torch.sigmoid(logits[0])
    return scores.cpu().detach().numpy()
"""
LIGHTNING = """
class LightningTransformer(pl.LightningModule):
    def __init__(self, transformer_model, config, n_labels):
        super().__init__()
        self.transformer_model = transformer_model
        self.dropout = torch.nn.Dropout(config.hidden_dropout_prob)
        self.n_labels = n_labels
        self.classifier = torch.nn.Linear(config.hidden_size, n_labels)

    def forward(self, batch):
        input_ids = batch['input_ids']
        attention_mask = batch['attention_mask']
        token_type_ids = batch['token_type_ids']

        pooled_output = self.transformer_model(
            input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).pooler_output
        pooled_output = self.dropout(pooled_output)
        logits  = self.classifier(pooled_output)
        return logits

    def training_step(self, batch, batch_idx):
        labels = batch["labels"]
        outputs = self.forward(batch)
        loss = binary_cross_entropy_with_logits(outputs, labels)
        self.log('train_loss', loss)
        return loss

    def validation_step(self, batch, batch_idx):
        labels = batch["labels"]
        outputs = self.forward(batch)
        loss = binary_cross_entropy_with_logits(outputs, labels)
        self.log('val_loss', loss)

        scores = torch.sigmoid(outputs)

        preds = scores.round()
        matches = (preds == labels).float()
        self.log('binary_accuracy', matches.mean())
        self.log('multilabel_accuracy', matches.min(axis=1).values.mean())
        return loss

    def test_step(self, batch, batch_idx):
        return self.validation_step(batch, batch_idx)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)
        return optimizer

n_labels = train_labels.shape[1]
lightning_transformer = LightningTransformer(transformer_model, config, n_labels)
"""
TEXTS = [f"the {word} king is {word}" for word in ("old", "red", "new", "blue") * 4]


@pytest.fixture
def names(models, monkeypatch):
    """What the post's code has made before the model is trained."""
    torch.manual_seed(0)
    post = types.ModuleType("post")  # torch.save finds a class by its module
    monkeypatch.setitem(sys.modules, "post", post)
    labels = torch.tensor([[float("old" in t), float("red" in t)] for t in TEXTS]).numpy()
    names = post.__dict__
    names |= {"train_texts": TEXTS, "train_labels": labels}
    names |= {"test_texts": TEXTS[:8], "test_labels": labels[:8]}
    exec(LOAD.replace("from transformers import", "from potstill import"), names)
    exec(DATASET, names)
    exec(MODEL, names)
    return names


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
def test_the_model_learns_under_their_trainer_and_scores(names):
    arguments = transformers.TrainingArguments(
        output_dir="./results",
        num_train_epochs=4,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        learning_rate=1e-2,
        weight_decay=0.01,
        eval_strategy="epoch",
        logging_first_step=True,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model=names["model"],
        args=arguments,
        train_dataset=names["train_dataset"],
        eval_dataset=names["test_dataset"],
    )
    trainer.train()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert losses[-1] < losses[0]
    torch.save(names["model"], "./model.pt")
    exec(INFERENCE, names)
    scores = names["score_text"](TEXTS[0])
    assert scores.shape == (2,)
    assert ((scores > 0) & (scores < 1)).all()


# torchmetrics and lightning look for their environment while they are imported.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_model_learns_in_a_lightning_module(names):
    pl = pytest.importorskip("pytorch_lightning")
    exec(LIGHTNING, {**names, "pl": pl}, names)
    module = names["lightning_transformer"]
    trainer = pl.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    before = trainer.validate(module, names["testing_loader"], verbose=False)
    trainer.fit(module, names["training_loader"], names["testing_loader"])
    after = trainer.validate(module, names["testing_loader"], verbose=False)
    assert after[0]["val_loss"] < before[0]["val_loss"]
