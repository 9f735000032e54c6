"""What a reader would otherwise write to train a masked network, in torch only."""

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader


def minimal_loop(net, x, y, masks, optimizer, *, steps, batch):
    """Train a masked network on normalised inputs in memory; check nothing."""
    named = dict(net.named_parameters())
    pairs = [(named[name], mask.to(x.dtype)) for name, mask in masks.items()]
    net.train()
    for index in batches_of(len(y), batch, steps):
        loss = F.cross_entropy(net(x[index]), y[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for weight, mask in pairs:
                weight.mul_(mask)


def batches_of(n, batch, steps):
    """Yield the indices of whole batches, epoch after epoch."""
    while True:
        for index in torch.randperm(n).split(batch):
            if len(index) == batch:
                if steps == 0:
                    return
                steps -= 1
                yield index


class Augmented(torch.utils.data.Dataset):
    """Images that are normalised, cropped and flipped one by one, on the CPU."""

    def __init__(self, images, labels, mean, std):
        self.images, self.labels = images, labels
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.images[index]
        padded = F.pad(image, (4, 4, 4, 4))
        down, across = torch.randint(0, 9, (2,)).tolist()
        height, width = image.shape[1:]
        image = padded[:, down : down + height, across : across + width]
        if torch.rand(()) < 0.5:
            image = image.flip(2)
        return (image.float() / 255 - self.mean) / self.std, self.labels[index]


def loader_loop(net, dataset, masks, optimizer, *, device, steps, batch, workers):
    """Train a masked network in float32 from a DataLoader, as tutorials do."""
    named = dict(net.named_parameters())
    loader = DataLoader(
        dataset, batch, shuffle=True, drop_last=True, num_workers=workers,
        pin_memory=device != "cpu", persistent_workers=workers > 0,
    )  # fmt: skip
    net.train()
    while True:
        for x, y in loader:
            if steps == 0:
                return
            steps -= 1
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for name, mask in masks.items():
                    named[name].mul_(mask)
            loss.item()
