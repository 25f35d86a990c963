//! Every metric's name, labels and registry on one page.
