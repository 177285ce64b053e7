# The base template: a library of its own, so that its tests need neither runtime nor network.
sandlot_library(sandlot_templates
  SOURCES base_template.cc base_template_files.cc template_accounts.cc template_tree.cc
  PUBLIC sandlot_base)
