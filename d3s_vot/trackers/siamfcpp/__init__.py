"""SiamFC++ (Xu et al., AAAI 2020): dense boxes from template features correlated with search features."""
