// The families of networks: their names, and the year and address of their papers.

import { t } from "./language.js";

export const CONSENSUS = "consensus";
const FAMILIES = {
  cnn: ["CNN", 1998, "https://doi.org/10.1109/5.726791"],
  alexnet: ["AlexNet", 2012, "https://proceedings.neurips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html"],
  vgg16: ["VGG16", 2014, "https://arxiv.org/abs/1409.1556"],
  faster_rcnn: ["Faster R-CNN", 2015, "https://arxiv.org/abs/1506.01497"],
  vit: ["Vision Transformer", 2020, "https://arxiv.org/abs/2010.11929"],
};

export const nameOf = (name) => FAMILIES[name]?.[0] ?? name;

/** The name of a network, or of all together. */
export const titleOf = (name) => (name === CONSENSUS ? t("results.consensus") : nameOf(name));

/** [year, address], or [] */
export const paperOf = (name) => FAMILIES[name]?.slice(1) ?? [];

/** Things in the order of the field's history; a network that has no place in it comes last. */
export function inHistory(things, name = (thing) => thing) {
  const year = (thing) => paperOf(name(thing))[0] ?? Infinity;
  return things.toSorted((one, other) => (year(one) < year(other) ? -1 : year(one) > year(other) ? 1 : 0));
}
